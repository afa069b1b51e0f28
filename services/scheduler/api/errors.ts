// Whatever goes wrong in a request becomes one JSON shape, { error, code, … }, and never more than that request.
import type { Log } from "@evenkeel/runtime/log.ts";
import type { FastifyError, FastifyInstance } from "fastify";
import { SchedulerError } from "../errors.ts";

interface ErrorBody {
  error: string;
  code: string;
  /** JSON pointer into the part of the request that is at fault. */
  at?: string;
  /** Every fault of a refused configuration, at JSON pointers into the whole of it. */
  problems?: SchedulerError["problems"];
}

export function handleErrors(server: FastifyInstance, log: Log): void {
  server.setErrorHandler<FastifyError | SchedulerError>((error, request, reply) => {
    const [status, body] = errorBody(error);
    if (status === 500) log.error({ err: error, route: request.routeOptions.url }, "request failed");
    return reply.code(status).send(body);
  });
  server.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ error: `no such resource: ${request.method} ${request.url}`, code: "not_found" }),
  );
}

function errorBody(error: FastifyError | SchedulerError): [number, ErrorBody] {
  if (error instanceof SchedulerError) {
    const { status, message, code, problems, at } = error;
    return [status, { error: message, code, ...(at !== undefined && { at }), ...(problems && { problems }) }];
  }
  if (error.validation) {
    return [400, { error: error.message, code: "invalid_request", at: faultyPlace(error.validation[0]) }];
  }
  if (error.statusCode && error.statusCode < 500) {
    return [error.statusCode, { error: error.message, code: "invalid_request" }];
  }
  return [500, { error: "internal error", code: "internal" }];
}

/** The property itself where one is missing or too much, rather than the object around it. */
function faultyPlace(fault: NonNullable<FastifyError["validation"]>[number] | undefined): string {
  if (!fault) return "";
  const { missingProperty, additionalProperty } = fault.params as Record<string, string | undefined>;
  const property = missingProperty ?? additionalProperty;
  return property === undefined ? fault.instancePath : `${fault.instancePath}/${property}`;
}
