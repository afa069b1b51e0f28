import { defineConfig } from "vitest/config";

// unit: pure code and loopback sockets. redis: a real Redis. e2e: whole clusters of real processes.
// One kind after the other, so that clusters have the machine to themselves.
// compose: docker-compose.yml on a Docker Engine, run only by `npm run test:compose`.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          sequence: { groupOrder: 0 },
          include: ["{libs,services,test,load}/**/*.test.ts"],
          exclude: ["**/node_modules/**", "**/*.redis.test.ts", "**/*.e2e.test.ts", "**/*.compose.test.ts"],
        },
      },
      {
        test: {
          name: "redis",
          sequence: { groupOrder: 1 },
          include: ["{libs,services,test}/**/*.redis.test.ts"],
          globalSetup: ["test/support/redis-setup.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "e2e",
          sequence: { groupOrder: 2 },
          include: ["test/**/*.e2e.test.ts"],
          globalSetup: ["test/support/redis-setup.ts"],
          fileParallelism: false,
          testTimeout: 90_000,
          hookTimeout: 90_000,
        },
      },
      {
        test: {
          name: "compose",
          include: ["test/compose/*.compose.test.ts"],
          testTimeout: 180_000,
        },
      },
    ],
  },
});
