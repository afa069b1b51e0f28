// What the demo prints when it is up: where things are and what to try.
import type { ReadyProcess } from "../supervisor/supervise.ts";

export function demoGuide(processes: readonly ReadyProcess[], returnSeconds: number): string {
  const byUrl = processes.toSorted((a, b) => a.url.localeCompare(b.url));
  const of = (role: string) => byUrl.filter((process) => process.role === role);
  const [first, second] = of("gateway");
  const [backend] = of("backend");
  const backends = of("backend").map(({ id, url, pid }) => `${id} ${url} (pid ${pid})`);
  return `
Evenkeel is up: ${of("gateway").length} gateways, ${of("backend").length} backends of different speed, one shared count.

  gateways   ${of("gateway")
    .map(({ url, pid }) => `${url} (pid ${pid})`)
    .join("\n             ")}
  backends   ${backends.join("\n             ")}

Try, in another terminal:

  curl -i ${first?.url}/
      x-evenkeel-backend names the backend that answered

  for i in $(seq 90); do curl -s ${first?.url}/ & curl -s ${second?.url}/ & done | sort | uniq -c
      180 requests at once over both gateways: the faster a backend, the more it gets

  while sleep 0.2; do curl -s ${second?.url}/; done
      keep this running while you do the following

  npx evenkeel status --watch
      what everybody knows: in-flight, health, who is running

  kill -9 ${backend?.pid}
      backend ${backend?.id} dies; no request fails; it is started again after ${returnSeconds} s

  kill -9 ${first?.pid}
      a gateway dies; the other goes on, and the dead one is started again

  curl ${first?.url}/slow/
      a static route: always the same backend

Ctrl-C stops everything.`;
}
