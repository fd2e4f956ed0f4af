/**
 * OpenAPI 3.1 from the route table and its zod schemas.
 *
 * @module
 */

import { PROBLEMS } from "@kedge/schema";
import { z } from "zod";
import type { Policy, Route } from "./route.ts";

type Json = Record<string, unknown>;

const SECURITY: Record<Policy, Json[]> = {
  public: [],
  client: [{ apiKey: [] }],
  operator: [{ operatorKey: [] }],
  node: [{ node: [] }],
  mirror: [{ node: [] }],
};

const SECURITY_SCHEMES = {
  apiKey: {
    type: "http",
    scheme: "bearer",
    description: "An API key: `kedge token create --api`",
  },
  operatorKey: {
    type: "http",
    scheme: "bearer",
    description: "The admin key, or an API key with the role `operator`",
  },
  node: {
    type: "apiKey",
    in: "header",
    name: "Authorization",
    description: "`Kedge-Node N:CREDENTIAL`, given at join",
  },
};

const Problem = {
  type: "object",
  required: ["type", "title", "status", "detail", "next", "instance"],
  properties: {
    type: { enum: Object.keys(PROBLEMS).map((slug) => `/problems/${slug}`) },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    next: { type: "string", description: "What to do about it" },
    instance: { type: "string", description: "Request id, as in the log" },
  },
};

/**
 * Describe the table.
 *
 * @param routes Every row.
 * @returns The document; plain JSON.
 */
export function openApiOf(routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {};
  for (const row of routes) {
    const path = openApiPath(row.path);
    paths[path] = {
      ...paths[path],
      [row.method.toLowerCase()]: operationOf(row),
    };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Kedge tracker",
      version: "1",
      description: "Where files are and where they go. File bytes never pass " +
        "through a tracker: it redirects to the agents.",
    },
    paths,
    components: {
      securitySchemes: SECURITY_SCHEMES,
      schemas: { Problem },
      responses: {
        Refused: {
          description: "Any refusal; `next` names the next step",
          content: {
            "application/problem+json": {
              schema: { $ref: "#/components/schemas/Problem" },
            },
          },
        },
      },
    },
  };
}

/** `/:name{pattern}` as `/{name}`. */
export function openApiPath(path: string): string {
  return path.replace(/:(\w+)(\{[^/]*\})?/g, "{$1}");
}

function operationOf(row: Route): Json {
  const { answer, body } = row;
  return {
    operationId: operationId(row),
    summary: row.summary,
    security: SECURITY[row.policy],
    parameters: [
      ...parametersOf("path", row.params),
      ...parametersOf("query", row.query),
    ],
    ...(body === undefined ? {} : {
      requestBody: { content: jsonContent(schemaOf(body, "input")) },
    }),
    responses: {
      [answer.status]: {
        description: answer.description,
        ...(answer.schema === undefined
          ? {}
          : { content: jsonContent(schemaOf(answer.schema, "output")) }),
        ...(answer.status === 307
          ? { headers: { Location: { schema: { type: "string" } } } }
          : {}),
      },
      default: { $ref: "#/components/responses/Refused" },
    },
  };
}

function operationId({ method, path }: Route): string {
  const words = path.replace(/\{[^/]*\}/g, "").split(/[^A-Za-z0-9]+/);
  return [method.toLowerCase(), ...words].filter(Boolean).join("_");
}

function parametersOf(where: "path" | "query", schema?: z.ZodType): Json[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(schema, "input") as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: where,
    required: where === "path" || required.includes(name),
    schema: property,
  }));
}

function jsonContent(schema: Json): Json {
  return { "application/json": { schema } };
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    target: "draft-2020-12",
    unrepresentable: "any",
  });
  return rest;
}
