// A Node proxy as a program of its own: name, port, port of the backend, and the files of its packages.
import { Agent, createServer } from "node:http";

const [name, port, backend, ...files] = process.argv.slice(2);
const origin = `http://127.0.0.1:${backend}`;

/** Packages that this workspace does not install have no types here. */
// biome-ignore lint/suspicious/noExplicitAny: as said above
const load = async (file: string): Promise<any> => import(file);

const START: Record<string, () => Promise<void>> = {
  async "@fastify/http-proxy"() {
    const [fastify, httpProxy] = await Promise.all(files.map(load));
    const server = fastify.default({ logger: false });
    server.register(httpProxy.default, { upstream: origin });
    await server.listen({ port: Number(port), host: "127.0.0.1" });
  },
  async "http-proxy-3"() {
    const [{ createProxyServer }] = await Promise.all(files.map(load));
    const agent = new Agent({ keepAlive: true, maxSockets: 1_024 });
    const proxy = createProxyServer({ target: origin, agent, xfwd: true });
    proxy.on("error", (error: Error) => process.stderr.write(`http-proxy-3: ${error.message}\n`));
    createServer((request, response) => proxy.web(request, response)).listen(Number(port), "127.0.0.1");
  },
};

await START[name ?? ""]?.();
process.on("disconnect", () => process.exit(0));
