// How the API stops: nothing new is accepted, what is in flight is answered, and only then connections are closed.
// Clients keep theirs alive, so each is told with its last answer that it ends; gateways are told to leave theirs.
import type { FastifyInstance } from "fastify";

/** Longest wait for requests in flight. All are bound by Redis's timeouts, well below. */
const REPLIES_MAX_MS = 5_000;

/** Connections that the HTTP server has handed over. */
interface HandedOver {
  /** Asks the other sides to end. */
  close(): void;
  destroy(): void;
}

export function closeInOrder(server: FastifyInstance, handedOver: HandedOver): void {
  let closing = false;
  server.addHook("onSend", (_request, reply, payload, done) => {
    if (closing) reply.header("connection", "close");
    done(null, payload);
  });
  // Runs before the server destroys what is still connected; new requests get 503 from here on.
  server.addHook("preClose", async () => {
    closing = true;
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, REPLIES_MAX_MS);
    server.server.close(() => resolve());
    handedOver.close();
    await answered;
    clearTimeout(timer);
    handedOver.destroy();
  });
}
