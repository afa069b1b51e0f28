// Redis names that belong to the cluster as a whole. A pool's own keys are in libs/ledger/keys.ts.
export const configKey = (prefix: string) => `${prefix}:config`;
export const eventChannel = (prefix: string) => `${prefix}:events`;
/** One tag, so that members can be read with one MGET in a Redis Cluster too. */
export const memberIndexKey = (prefix: string) => `${prefix}:{members}`;
export const memberKey = (prefix: string, id: string) => `${prefix}:{members}:${id}`;
/** In Redis only where no gateway has one from its environment. */
export const cookieSecretKey = (prefix: string) => `${prefix}:{secrets}:cookie`;
/** One tag, so that registrations can be read with one MGET in a Redis Cluster too. */
export const registrationIndexKey = (prefix: string) => `${prefix}:{registrations}`;
export const registrationKey = (prefix: string, pool: string, id: string) =>
  `${prefix}:{registrations}:${pool}/${id}`;
/** Pool → the last entry of its log that was notified of. */
export const notifiedKey = (prefix: string) => `${prefix}:{notifications}:notified`;
/** Notifications that nobody took: a capped stream. In the slot of the one below: a letter moves there in one step. */
export const deadLettersKey = (prefix: string) => `${prefix}:{notifications}:dead`;
/** Dead letters that an operator wants sent again: a list that the leading monitor empties. */
export const retriesKey = (prefix: string) => `${prefix}:{notifications}:retries`;
