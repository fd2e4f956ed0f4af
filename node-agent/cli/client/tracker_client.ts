/**
 * Questions to a tracker, and through its redirects to agents.
 *
 * The API key goes to trackers only: an agent gets the capability that the
 * tracker put into the redirect.
 *
 * @module
 */

import type { z } from "zod";
import { type LinkKey, linkQuery } from "@kedge/schema/download-links";
import type { CommandContext, Fetch, Network } from "../context.ts";
import { CliError, messageOf, noAnswer } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { apiError } from "./api_error.ts";
import { connect, type ConnectionValues } from "./connection.ts";

/** How long a short question may take, in milliseconds. */
const ASK_TIMEOUT_MS = 30_000;
/** Life of a link that is used at once, in seconds. */
const LINK_LIFE_S = 600;

/** Most redirects that are followed. */
const REDIRECTS_MAX = 5;

/** A question. */
export interface Question {
  /** `GET` when missing. */
  readonly method?: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Appended to the path. */
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** More headers. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A client of one cluster. */
export class TrackerClient {
  readonly #trackers: readonly string[];
  readonly #key: string | undefined;
  readonly #signal: AbortSignal;
  readonly #linkKey: LinkKey | undefined;
  /** Ways to reach agents. */
  readonly network: Network;

  /** Use {@linkcode openClient}. */
  constructor(
    connection: {
      trackers: readonly string[];
      key: string | undefined;
      network: Network;
      linkKey?: LinkKey | undefined;
    },
    signal: AbortSignal,
  ) {
    this.#linkKey = connection.linkKey;
    this.#trackers = connection.trackers;
    this.#key = connection.key;
    this.#signal = signal;
    this.network = connection.network;
  }

  /** The first tracker, for messages. */
  get url(): string {
    return this.#trackers[0] ?? "";
  }

  /**
   * The query that lets a file be read where that needs a link, by name; empty
   * when we have no key.
   */
  linkTo(id: string): Record<string, string> {
    const key = this.#linkKey;
    if (key === undefined) return {};
    const expiresS = Math.floor(Date.now() / 1000) + LINK_LIFE_S;
    const method = "GET" as const;
    const claims = { file: id, method, expiresS, ip: "", download: "" };
    return Object.fromEntries(new URLSearchParams(linkQuery(key, claims)));
  }

  /** The path of the content of a file, with the link that it may need. */
  contentPath(id: string): string {
    const link = new URLSearchParams(this.linkTo(id));
    const path = `/${id.split("/").map(encodeURIComponent).join("/")}`;
    return link.size === 0 ? path : `${path}?${link}`;
  }

  /**
   * Ask, and follow redirects to an agent.
   *
   * @param path Path of the API, with a slash in front.
   * @param schema What the answer must look like.
   * @throws {CliError} Refused, not reachable, or an answer of another shape.
   */
  async json<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    question: Question = {},
  ): Promise<z.output<Schema>> {
    const response = await this.ask(path, question);
    if (!response.ok) throw await apiError(response);
    const parsed = schema.safeParse(await response.json().catch(() => null));
    if (parsed.success) return parsed.data;
    throw new CliError(
      `The answer to ${question.method ?? "GET"} ${path} is not understood`,
      "is this a Kedge tracker of the same version? see: kedge version",
    );
  }

  /** Ask for something to be done; the answer does not matter. */
  async done(path: string, question: Question): Promise<void> {
    const response = await this.ask(path, question);
    if (!response.ok) throw await apiError(response);
    await response.body?.cancel();
  }

  /** Ask, and follow redirects. The answer may be a refusal. */
  async ask(path: string, question: Question = {}): Promise<Response> {
    let response = await this.#send(path, question);
    for (let hops = 0; hops < REDIRECTS_MAX; hops++) {
      const url = redirectOf(response, this.url);
      if (url === undefined) break;
      await response.body?.cancel();
      // No Authorization here: this is another server.
      const { headers, ...init } = requestInit(question);
      response = await fetchWithin(this.network.fetch, url, {
        ...init,
        headers,
        signal: this.#signal,
      });
    }
    return response;
  }

  /**
   * Where the tracker sends us: the URL of an agent, with a capability.
   *
   * @throws {CliError} When the tracker refuses.
   */
  async locate(path: string, question: Question): Promise<string> {
    const response = await this.#send(path, question);
    const url = redirectOf(response, this.url);
    if (url === undefined && !response.ok) throw await apiError(response);
    await response.body?.cancel();
    if (url !== undefined) return url;
    throw new CliError(
      `The tracker did not say where ${path} is`,
      "is this a Kedge tracker of the same version? see: kedge version",
    );
  }

  async #send(path: string, question: Question): Promise<Response> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(question.query ?? {})) {
      if (value !== undefined) search.set(name, value);
    }
    const suffix = search.size > 0 ? `?${search}` : "";
    const { headers, ...init } = requestInit(question);
    return await this.#firstThatAnswers(`${path}${suffix}`, {
      ...init,
      headers: {
        ...headers,
        ...(this.#key === undefined
          ? {}
          : { authorization: `Bearer ${this.#key}` }),
      },
    });
  }

  async #firstThatAnswers(path: string, init: RequestInit): Promise<Response> {
    let last: unknown;
    for (const tracker of this.#trackers) {
      try {
        return await fetchWithin(this.network.fetch, `${tracker}${path}`, {
          ...init,
          signal: this.#signal,
        });
      } catch (error) {
        this.#signal.throwIfAborted();
        last = error;
      }
    }
    throw new CliError(
      this.#trackers.length === 1
        ? messageOf(last).replace(/^no/, "No")
        : `No tracker answered; the last one: ${messageOf(last)}`,
      "is it running? `kedge start`, or name another one with --tracker",
      EXIT.unreachable,
    );
  }
}

/** Method, headers and body of a question, without any secret. */
function requestInit(
  { method = "GET", body, headers }: Question,
): RequestInit & {
  readonly headers: Record<string, string>;
} {
  return {
    method,
    // Followed by hand: the key must not travel to another server.
    redirect: "manual",
    headers: {
      ...headers,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
}

function redirectOf(response: Response, base: string): string | undefined {
  const location = response.headers.get("location");
  if (response.status < 300 || response.status > 399 || location === null) {
    return undefined;
  }
  return new URL(location, response.url || base).href;
}

/** A client from the options of a command. */
export async function openClient(
  values: ConnectionValues,
  context: CommandContext,
): Promise<TrackerClient> {
  return new TrackerClient(await connect(values, context), context.signal);
}

/**
 * `fetch` that gives up when no answer begins in time. The body may take longer.
 */
export async function fetchWithin(
  fetch: Fetch,
  url: string,
  init: RequestInit & { readonly signal: AbortSignal },
): Promise<Response> {
  const patience = new AbortController();
  const timer = setTimeout(
    () =>
      patience.abort(new Error(`no answer within ${ASK_TIMEOUT_MS / 1000} s`)),
    ASK_TIMEOUT_MS,
  );
  try {
    const signal = AbortSignal.any([init.signal, patience.signal]);
    return await fetch(url, { ...init, signal });
  } catch (error) {
    init.signal.throwIfAborted();
    throw noAnswer(url, error);
  } finally {
    clearTimeout(timer);
  }
}

/** The path of a file below `/v1/files/`, each segment encoded. */
export function filePath(id: string, suffix = ""): string {
  const encoded = id.split("/").map(encodeURIComponent).join("/");
  return `/v1/files/${encoded}${suffix}`;
}
