// Redis names that belong to the cluster as a whole. A pool's own keys are in libs/ledger/keys.ts.
export const configKey = (prefix: string) => `${prefix}:config`;
export const eventChannel = (prefix: string) => `${prefix}:events`;
/** One tag, so that members can be read with one MGET in a Redis Cluster too. */
export const memberIndexKey = (prefix: string) => `${prefix}:{members}`;
export const memberKey = (prefix: string, id: string) => `${prefix}:{members}:${id}`;
/** In Redis only where no gateway has one from its environment. */
export const cookieSecretKey = (prefix: string) => `${prefix}:{secrets}:cookie`;
