// The two sockets of a connection, tied to whoever moves bytes between them: one function for all connections each,
// instead of ten closures per connection. Node calls them on the socket.
import type { Socket } from "node:net";

export interface Sides {
  onClientData(chunk: Buffer): void;
  onClientEnd(): void;
  onClientDrain(): void;
  onClientError(error: Error): void;
  /** @param broken with an error */
  onClientClose(broken: boolean): void;
  onBackendConnect(backend: Socket): void;
  onBackendData(backend: Socket, chunk: Buffer): void;
  onBackendEnd(): void;
  onBackendDrain(): void;
  onBackendError(backend: Socket, error: Error): void;
  onBackendClose(backend: Socket, broken: boolean): void;
}

const SIDES: unique symbol = Symbol("sides");
interface Tied extends Socket {
  [SIDES]: Sides;
}

export function tieClient(client: Socket, sides: Sides): void {
  (client as Tied)[SIDES] = sides;
  client.on("data", onClientData).on("end", onClientEnd).on("drain", onClientDrain);
  client.on("error", onClientError).on("close", onClientClose);
}

/** One that is being connected; its bytes are not read yet. */
export function tieBackend(backend: Socket, sides: Sides): void {
  (backend as Tied)[SIDES] = sides;
  backend.on("connect", onBackendConnect).on("error", onBackendError).on("close", onBackendClose);
}

/** Its bytes come from now on. */
export function readBackend(backend: Socket): void {
  backend.on("data", onBackendData).on("end", onBackendEnd).on("drain", onBackendDrain);
}

/** An end in order could pass for the end of what was sent. @param transport the bare connection of `socket` */
export function reset(socket: Socket, transport: Socket): void {
  if (transport.destroyed) return;
  if (transport.connecting) transport.destroy();
  else transport.resetAndDestroy();
  if (socket !== transport) socket.destroy();
}

function onClientData(this: Socket, chunk: Buffer): void {
  (this as Tied)[SIDES].onClientData(chunk);
}
function onClientEnd(this: Socket): void {
  (this as Tied)[SIDES].onClientEnd();
}
function onClientDrain(this: Socket): void {
  (this as Tied)[SIDES].onClientDrain();
}
function onClientError(this: Socket, error: Error): void {
  (this as Tied)[SIDES].onClientError(error);
}
function onClientClose(this: Socket, broken: boolean): void {
  (this as Tied)[SIDES].onClientClose(broken);
}
function onBackendConnect(this: Socket): void {
  (this as Tied)[SIDES].onBackendConnect(this);
}
function onBackendData(this: Socket, chunk: Buffer): void {
  (this as Tied)[SIDES].onBackendData(this, chunk);
}
function onBackendEnd(this: Socket): void {
  (this as Tied)[SIDES].onBackendEnd();
}
function onBackendDrain(this: Socket): void {
  (this as Tied)[SIDES].onBackendDrain();
}
function onBackendError(this: Socket, error: Error): void {
  (this as Tied)[SIDES].onBackendError(this, error);
}
function onBackendClose(this: Socket, broken: boolean): void {
  (this as Tied)[SIDES].onBackendClose(this, broken);
}
