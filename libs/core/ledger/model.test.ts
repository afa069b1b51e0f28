import { ledgerContract } from "./contract.ts";
import { createModelLedger } from "./model.ts";

ledgerContract("the reference model", async () => {
  let nowMs = 1_700_000_000_000;
  return {
    ledger: createModelLedger(() => nowMs),
    advance: (ms) => {
      nowMs += ms;
    },
  };
});
