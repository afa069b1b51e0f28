// A MaxMind file (.mmdb) that tells where addresses are. It is opened in the background and again whenever it changes;
// while it cannot be read, what was read before stays, and that it cannot is said in the log and by a metric.
import { stat } from "node:fs/promises";
import type { Place } from "@evenkeel/core/config/geography.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Gauge } from "@evenkeel/runtime/metrics.ts";
import { type CityResponse, open, type Reader } from "maxmind";

/** How often the file is looked at. */
const LOOK_INTERVAL_MS = 5_000;
/** A larger one counts as unreadable: the file is held in memory whole. */
const FILE_BYTES_MAX = 512 * 1024 * 1024;

export interface LocationFile {
  /** Null where the file does not know the address, has no coordinates, or is not open. */
  find(address: string): Place | null;
  close(): void;
}

export interface LocationFileOptions {
  path: string;
  log: Log;
  /** 1 while the file cannot be read. */
  unreadable: Gauge<never>;
  /** It was opened, also anew: what was found before may be wrong. */
  onOpen: () => void;
}

export function openLocationFile({ path, log, unreadable, onOpen }: LocationFileOptions): LocationFile {
  let reader: Reader<CityResponse> | null = null;
  let seen = "";
  let failing: string | null = null;
  let closed = false;

  const report = (reason: string | null) => {
    if (reason !== null && reason !== failing)
      log.error({ file: path, reason }, "file of locations unusable");
    failing = reason;
    if (!closed) unreadable.set(reason === null ? 0 : 1);
  };

  const look = async () => {
    try {
      const found = await stat(path);
      const { mtimeMs, size, ino } = found;
      const version = `${mtimeMs} ${size} ${ino}`;
      if (version === seen || closed) return;
      seen = version; // tried once: it is not opened again before it changes
      if (!found.isFile()) throw new Error("it is no regular file");
      if (size > FILE_BYTES_MAX) throw new Error(`it has ${size} bytes, the most is ${FILE_BYTES_MAX}`);
      reader = await open<CityResponse>(path);
      log.info({ file: path, built: reader.metadata.buildEpoch }, "file of locations opened");
      report(null);
      onOpen();
    } catch (error) {
      report((error as Error).message);
    }
  };

  const timer = setInterval(look, LOOK_INTERVAL_MS).unref();
  void look();
  return {
    find(address) {
      try {
        const { latitude, longitude } = reader?.get(address)?.location ?? {};
        return latitude === undefined || longitude === undefined ? null : { latitude, longitude };
      } catch (error) {
        report(`damaged: ${(error as Error).message}`);
        return null;
      }
    },
    close() {
      closed = true;
      clearInterval(timer);
      unreadable.set(0);
    },
  };
}
