// TLS as a listener ends it: handshakes with the certificates of its configuration, which are read again when their
// files change. A new certificate is put to use only when all of them can be; until then the old ones stay.
// Session tickets are encrypted with keys of this process that change with every reload: a client that resumes at
// another gateway, or after a reload, makes a full handshake.
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { ListenerTls } from "@evenkeel/core/config/resolve-listeners.ts";
import type { ClientTls } from "../messages/incoming.ts";
import { type Certificate, type LoadedTls, loadTls, stateOfFiles } from "./certificates.ts";
import { clientCertificate } from "./client-certificate.ts";

/** How often the files are looked at, in ms. */
export const CERTIFICATE_POLL_MS = 10_000;
/** For the whole handshake, in ms. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Why a handshake has failed; few enough to be labels of a metric. */
export type TlsFault = "timeout" | "closed" | "version" | "cipher" | "alpn" | "certificate" | "other";

const FAULTS: Readonly<Record<string, TlsFault>> = {
  ERR_TLS_HANDSHAKE_TIMEOUT: "timeout",
  ECONNRESET: "closed",
  EPIPE: "closed",
  ERR_SSL_UNSUPPORTED_PROTOCOL: "version",
  ERR_SSL_UNKNOWN_PROTOCOL: "version",
  ERR_SSL_VERSION_TOO_LOW: "version",
  ERR_SSL_NO_SHARED_CIPHER: "cipher",
  ERR_SSL_NO_APPLICATION_PROTOCOL: "alpn",
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "certificate",
  ERR_SSL_CERTIFICATE_VERIFY_FAILED: "certificate",
};

/** Told of what happens, for metrics and the log. Each may be called at any time. */
export interface TlsWatcher {
  onTlsError(fault: TlsFault): void;
  /** All that the listener uses from now on; none when it is closed. */
  onCertificates(listener: string, certificates: readonly Certificate[]): void;
  /** Files were read again, changed or named anew. @param error why the old ones stay; null: the new ones are in use */
  onReload(listener: string, error: Error | null): void;
}

export interface TlsContextsOptions extends TlsWatcher {
  /** Of the listener. */
  name: string;
  tls: ListenerTls;
  /** Names for ALPN, the best first; empty: none is agreed. */
  protocols: readonly string[];
}

export interface TlsContexts {
  /** Rejects when files cannot be used: then all stays as it is, and they are tried again with every look at them. */
  update(options: Pick<TlsContextsOptions, "name" | "tls" | "protocols">): Promise<void>;
  /**
   * Exactly one of the two is called. Certificates of clients are verified before `done`; where the handshake fails,
   * the socket is destroyed.
   */
  handshake(socket: Socket, done: OnSecured, failed?: OnFailed): void;
  close(): void;
}

type OnSecured = (secured: TLSSocket, tls: ClientTls) => void;
type OnFailed = (fault: TlsFault, detail: string) => void;

interface Waiting {
  done: OnSecured;
  failed: OnFailed | undefined;
}

/** State of no files at all. */
const NOT_LOADED = "";

/** Rejects with a TlsError when the files cannot be used. */
export async function createTlsContexts(options: TlsContextsOptions): Promise<TlsContexts> {
  let { name, tls, protocols } = options;
  /** By the address of the peer, which no two open connections share. */
  const waiting = new Map<string, Waiting>();
  let server: Server;
  let loadedFrom = NOT_LOADED;
  let fault: string | null = null;
  let looking = false;
  let closed = false;

  const load = async () => {
    const wanted = { name, tls, protocols };
    const state = await stateOfFiles(tls);
    const loaded = await loadTls(tls);
    if (closed || tls !== wanted.tls) return;
    server = createTlsServer(loaded, wanted, waiting, options.onTlsError);
    loadedFrom = state;
    options.onCertificates(name, loaded.certificates);
  };

  /** Says the same fault once. */
  const reload = async () => {
    try {
      await load();
      fault = null;
      options.onReload(name, null);
    } catch (error) {
      const { message } = error as Error;
      if (message !== fault) options.onReload(name, error as Error);
      fault = message;
      throw error;
    }
  };

  const look = async () => {
    if (looking) return; // at files that take their time
    looking = true;
    if ((await stateOfFiles(tls)) !== loadedFrom && !closed) await reload().catch(() => {});
    looking = false;
  };

  await load();
  const poll = setInterval(() => void look(), CERTIFICATE_POLL_MS).unref();

  return {
    async update(next) {
      const before = JSON.stringify([name, tls, protocols]);
      if (next.name !== name) options.onCertificates(name, []);
      ({ name, tls, protocols } = next);
      if (before === JSON.stringify([name, tls, protocols]) && loadedFrom !== NOT_LOADED) return;
      loadedFrom = NOT_LOADED;
      await reload();
    },
    handshake(socket, done, failed) {
      if (socket.remoteAddress === undefined) {
        socket.destroy(); // gone already
        failed?.("closed", "the connection ended before its TLS handshake");
        return;
      }
      const peer = peerOf(socket);
      const one = { done, failed };
      waiting.set(peer, one);
      socket.on("close", () => {
        if (waiting.get(peer) !== one) return; // secured long ago; perhaps another has its address by now
        waiting.delete(peer);
        failed?.("closed", "the connection ended before its TLS handshake");
      });
      server.emit("connection", socket);
    },
    close() {
      closed = true;
      clearInterval(poll);
      options.onCertificates(name, []);
    },
  };
}

const peerOf = ({ remoteAddress, remotePort, localAddress }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress}`;

/** Never listens: it only does the handshakes of connections that were accepted elsewhere. */
function createTlsServer(
  loaded: LoadedTls,
  { tls, protocols }: { tls: ListenerTls; protocols: readonly string[] },
  waiting: Map<string, Waiting>,
  onTlsError: (fault: TlsFault) => void,
): Server {
  const server = createServer({
    ...loaded.options,
    SNICallback: (servername, done) => done(null, loaded.contextFor(servername.toLowerCase())),
    ...(protocols.length > 0 ? { ALPNProtocols: [...protocols] } : {}),
    requestCert: tls.clientAuth !== "none",
    rejectUnauthorized: false, // refused below, where the reason is known
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  });
  const take = (secured: TLSSocket): Waiting | undefined => {
    const peer = peerOf(secured);
    const one = waiting.get(peer);
    waiting.delete(peer);
    return one;
  };
  const fail = (secured: TLSSocket, fault: TlsFault, detail: string) => {
    onTlsError(fault);
    take(secured)?.failed?.(fault, detail);
    secured.destroy();
  };
  server.on("tlsClientError", (error: NodeJS.ErrnoException, secured) =>
    fail(secured, FAULTS[error.code ?? ""] ?? "other", error.message),
  );
  server.on("secureConnection", (secured) => {
    secured.on("error", () => {}); // of a connection that breaks; whoever serves it hears of its close
    const certificate = secured.getPeerX509Certificate();
    if (certificate ? !secured.authorized : tls.clientAuth === "require") {
      fail(secured, "certificate", String(secured.authorizationError ?? "no certificate"));
      return;
    }
    const one = take(secured);
    if (one === undefined) {
      secured.destroy(); // gone since
      return;
    }
    one.done(secured, {
      servername: secured.servername || null,
      certificate: certificate ? clientCertificate(certificate) : null,
    });
  });
  return server;
}
