/**
 * Where the exports of a resource are, as paths, addresses and URIs.
 *
 * @module
 */

import type { ResourceSpec } from "../worker_messages.ts";
import type { ExportPlace } from "./spec.ts";

/** URIs of all exports: volume by volume, the Unix socket first. */
export function exportUris(
  { resource, volumes }: ResourceSpec,
  socket: string,
  address: string | undefined,
): string[] {
  return volumes.flatMap(({ volume }) => {
    const isOnly = volumes.length === 1;
    const name = encodeURIComponent(
      isOnly ? resource : `${resource}/${volume}`,
    );
    const tcp = address === undefined ? [] : [`nbd://${address}/${name}`];
    return [`nbd+unix:///${name}?socket=${socket}`, ...tcp];
  });
}

/** A resource's name as a file name: other characters than these are coded. */
export function fileName(name: string): string {
  return name.replaceAll(
    /[^A-Za-z0-9_-]/g,
    (character) => `%${character.charCodeAt(0).toString(16)}`,
  );
}

/** `HOST:PORT` as a place. */
export function placeOf(address: string): ExportPlace {
  const at = address.lastIndexOf(":");
  return {
    hostname: address.slice(0, at).replace(/^\[|\]$/g, ""),
    port: Number(address.slice(at + 1)),
  };
}

/** What went wrong, in words. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
