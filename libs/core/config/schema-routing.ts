// How a request finds its route, and what the route does with it beside passing it on.
import Type from "typebox";
import { closed } from "./fields.ts";

export const RouteMatchSchema = Type.Object(
  {
    host: Type.Optional(Type.String({ description: "shop.example.com, or *.example.com" })),
    path: Type.Optional(Type.String({ description: "/exact, or /prefix/*", default: "/*" })),
  },
  closed,
);

export const ROUTING_FIELDS = {} as const;
