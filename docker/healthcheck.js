// Exit code 0 when a path of this container's admin port, or the given URL, answers 200. Plain JavaScript and
// node:http, because it is started every few seconds in every container.
import { get } from "node:http";

const TIMEOUT_MS = 2_000;

const admin = `http://127.0.0.1:${process.env.EVENKEEL_ADMIN_PORT}`;
const request = get(new URL(process.argv[2] ?? "/healthz", admin), { timeout: TIMEOUT_MS }, (response) => {
  process.exit(response.statusCode === 200 ? 0 : 1);
});
request.on("timeout", () => process.exit(1));
request.on("error", () => process.exit(1));
