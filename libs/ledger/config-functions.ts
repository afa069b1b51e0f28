// The library of Redis Functions that change the applied configuration.
import { readFileSync } from "node:fs";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { createFunctions, type Functions } from "./functions.ts";

const SOURCE = readFileSync(new URL("./lua/config.lua", import.meta.url), "utf8");

export const createConfigFunctions = (redis: Redis): Functions => createFunctions(redis, SOURCE);
