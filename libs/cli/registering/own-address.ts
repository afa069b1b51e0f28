// The address of this machine that a scheduler sees: the one that others on that network reach it by.
import { connect } from "node:net";

const CONNECT_TIMEOUT_MS = 2_000;

/** @param url where to connect to @throws when that cannot be reached */
export function addressTowards(url: string): Promise<string> {
  const { hostname, port, protocol } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: hostname.replace(/^\[(.*)\]$/, "$1"),
      port: Number(port || (protocol === "https:" ? 443 : 80)),
    });
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error(`${url} does not answer`)));
    socket.once("connect", () => {
      const { localAddress = "" } = socket;
      socket.destroy();
      resolve(localAddress.replace(/^::ffff:(?=\d+\.)/, ""));
    });
    socket.once("error", (error: NodeJS.ErrnoException) =>
      reject(new Error(`${url}: ${error.code ?? error.message}`)),
    );
  });
}

/** The first of several that can be reached decides. @throws when none can */
export async function addressTowardsAny(urls: readonly string[]): Promise<string> {
  let failure: unknown = new Error("no scheduler is known");
  for (const url of urls) {
    try {
      return await addressTowards(url);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** A url whose host is left out, http://:8080, with this one; any other as it is. */
export function withHost(url: string, address: string): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return url.replace(/^([a-z]+:\/\/)(?=:)/i, `$1${host}`);
}

export const lacksHost = (url: string): boolean => /^[a-z]+:\/\/:\d/i.test(url);
