// Statements that are none, for every way in which one may arrive.
import { MAX_EXCLUDES, MAX_METRICS, MAX_RANKED, MAX_WANTS } from "@evenkeel/core/ledger/ledger.ts";
import { settleBody } from "./api-scene.ts";

const outcomes = (more: object = {}) => ({
  "shop-1": { success: 1, failure: 0, canceled: 0, failuresInRow: 0, latencyUs: 5, ...more },
});
const without = (key: string) => Object.fromEntries(Object.entries(settleBody()).filter(([k]) => k !== key));

/** What is wrong → the body, and the place that the answer names. */
export const MALFORMED: [string, unknown, string][] = [
  ["a gateway that is no string", { ...settleBody(), gateway: 1 }, "/gateway"],
  ["an empty gateway", settleBody({ gateway: "" }), "/gateway"],
  ["a gateway with a space", settleBody({ gateway: "a b" }), "/gateway"],
  ["a gateway too long", settleBody({ gateway: "g".repeat(129) }), "/gateway"],
  ["no gateway", without("gateway"), "/gateway"],
  ["no seq", without("seq"), "/seq"],
  ["seq 0", settleBody({ seq: 0 }), "/seq"],
  ["a seq with a fraction", settleBody({ seq: 1.5 }), "/seq"],
  ["a seq past what a number holds", { ...settleBody(), seq: 1e300 }, "/seq"],
  ["a seq as a string", { ...settleBody(), seq: "1" }, "/seq"],
  ["full as a string", { ...settleBody(), full: "true" }, "/full"],
  ["no held", without("held"), "/held"],
  ["held as a list", { ...settleBody(), held: [] }, "/held"],
  ["a negative count", settleBody({ held: { "shop-1": -1 } }), "/held/shop-1"],
  ["a count as a string", { ...settleBody(), held: { "shop-1": "3" } }, "/held/shop-1"],
  ["a count of null", { ...settleBody(), held: { "shop-1": null } }, "/held/shop-1"],
  ["a count beyond reason", settleBody({ held: { "shop-1": 1e9 } }), "/held/shop-1"],
  ["a backend that is no name", settleBody({ held: { "shop 1": 1 } }), "/held/shop 1"],
  ["an empty backend", settleBody({ held: { "": 1 } }), "/held/"],
  ["an outcome without a count", { ...settleBody(), outcomes: { "shop-1": {} } }, "/outcomes/shop-1/success"],
  [
    "a negative outcome",
    { ...settleBody(), outcomes: outcomes({ failure: -1 }) },
    "/outcomes/shop-1/failure",
  ],
  ["an unknown outcome", { ...settleBody(), outcomes: outcomes({ lost: 1 }) }, "/outcomes/shop-1/lost"],
  ["wants as a number", { ...settleBody(), wants: 3 }, "/wants"],
  ["a want that is no object", { ...settleBody(), wants: ["x"] }, "/wants/0"],
  ["too many wants", settleBody({ wants: Array.from({ length: MAX_WANTS + 1 }, () => ({})) }), "/wants"],
  ["an unknown wish", { ...settleBody(), wants: [{ fastest: true }] }, "/wants/0/fastest"],
  [
    "too many excludes",
    settleBody({ wants: [{ exclude: Array.from({ length: MAX_EXCLUDES + 1 }, (_, i) => `b${i}`) }] }),
    "/wants/0/exclude",
  ],
  ["an exclude that is no name", settleBody({ wants: [{ exclude: ["../x"] }] }), "/wants/0/exclude/0"],
  ["a zone that is no name", settleBody({ wants: [{ zone: "Frankfurt am Main" }] }), "/wants/0/zone"],
  ["a zone as a number", { ...settleBody(), wants: [{}, { zone: 7 }] }, "/wants/1/zone"],
  ["a session's backend that is no name", settleBody({ wants: [{ stick: "" }] }), "/wants/0/stick"],
  ["a preference that is no object", { ...settleBody(), wants: [{ prefer: "shop-1" }] }, "/wants/0/prefer"],
  [
    "a preference of nobody",
    { ...settleBody(), wants: [{ prefer: { below: 8 } }] },
    "/wants/0/prefer/backend",
  ],
  [
    "a preference without a bound",
    { ...settleBody(), wants: [{ prefer: { backend: "shop-1" } }] },
    "/wants/0/prefer/below",
  ],
  [
    "a preferred backend that is no name",
    settleBody({ wants: [{ prefer: { backend: "shop 1", below: 8 } }] }),
    "/wants/0/prefer/backend",
  ],
  ...[0, -1, 1.5, 1e9, "8", null].map((below): [string, unknown, string] => [
    `a preference below ${JSON.stringify(below)}`,
    { ...settleBody(), wants: [{ prefer: { backend: "shop-1", below } }] },
    "/wants/0/prefer/below",
  ]),
  [
    "an unknown key of a preference",
    { ...settleBody(), wants: [{ prefer: { backend: "shop-1", below: 8, above: 1 } }] },
    "/wants/0/prefer/above",
  ],
  ["ranked backends that are no list", { ...settleBody(), wants: [{ ranked: "shop-1" }] }, "/wants/0/ranked"],
  [
    "too many ranked backends",
    settleBody({ wants: [{ ranked: Array.from({ length: MAX_RANKED + 1 }, (_, i) => `b${i}`) }] }),
    "/wants/0/ranked",
  ],
  ["a ranked backend that is no name", settleBody({ wants: [{ ranked: ["a", ""] }] }), "/wants/0/ranked/1"],
  [
    "a metric as a string",
    { ...settleBody(), outcomes: outcomes({ metrics: { cpu: "0.5" } }) },
    "/outcomes/shop-1/metrics/cpu",
  ],
  [
    "a metric of null, which is what JSON makes of no number",
    { ...settleBody(), outcomes: outcomes({ metrics: { cpu: null } }) },
    "/outcomes/shop-1/metrics/cpu",
  ],
  [
    "a metric beyond reason",
    { ...settleBody(), outcomes: outcomes({ metrics: { cpu: 1e300 } }) },
    "/outcomes/shop-1/metrics/cpu",
  ],
  [
    "too many metrics",
    {
      ...settleBody(),
      outcomes: outcomes({
        metrics: Object.fromEntries(Array.from({ length: MAX_METRICS + 1 }, (_, i) => [`m${i}`, i])),
      }),
    },
    "/outcomes/shop-1/metrics",
  ],
  [
    "metrics as a list",
    { ...settleBody(), outcomes: outcomes({ metrics: [1] }) },
    "/outcomes/shop-1/metrics",
  ],
  ["a negative version", settleBody({ version: -1 }), "/version"],
  ["no refresh", without("refresh"), "/refresh"],
  ["an unknown key", { ...settleBody(), extra: 1 }, "/extra"],
  ["a list", [], ""],
  ["null", "null", ""],
  ["a number", "7", ""],
];
