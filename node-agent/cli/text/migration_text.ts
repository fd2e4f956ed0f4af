/**
 * How far an import or export is, and how it ended, as people read it. Pure.
 *
 * @module
 */

import type { MigrationView } from "@kedge/schema/migration";
import {
  addSample,
  beginProgress,
  etaMs,
  type Progress,
  rateOf,
} from "./progress_core.ts";
import { plainText } from "./table.ts";
import { countText, durationText, rateText, sizeText } from "./units.ts";

/** Problems that are printed; the report has all. */
const PROBLEMS_SHOWN = 20;

const PHASES = {
  counting: "counting",
  files: "files",
  packed: "packed files",
  ending: "ending",
} as const;

/**
 * Note how far a run is.
 *
 * @param progress As it was; `undefined` at first.
 */
export function noted(
  progress: Progress | undefined,
  view: MigrationView,
  nowMs: number,
): Progress {
  const begun = progress ?? beginProgress(nowMs, view.bytesTotal);
  const known = { ...begun, totalBytes: view.bytesTotal };
  return addSample(known, { atMs: nowMs, doneBytes: view.bytesDone });
}

/** One line while it runs. */
export function migrationLine(view: MigrationView, progress: Progress): string {
  const { phase, filesTotal, filesDone, bytesTotal, bytesDone } = view;
  if (phase === "counting") {
    return `counting: ${countText(filesTotal, "file")}, ${
      sizeText(bytesTotal)
    }`;
  }
  const rate = rateOf(progress);
  return [
    `${PHASES[phase]}: ${filesDone}/${filesTotal}`,
    `${sizeText(bytesDone)} of ${sizeText(bytesTotal)}`,
    ...(rate === undefined ? [] : [rateText(rate)]),
    `ETA ${durationText(etaMs(progress))}`,
    ...(view.damaged === 0 ? [] : [`${view.damaged} damaged`]),
    ...(view.skipped === 0 ? [] : [`${view.skipped} skipped`]),
  ].join("  ");
}

/** Everything at the end. */
export function migrationText(view: MigrationView): string {
  const { request, done, state } = view;
  const isDry = request.kind === "import" && request.dryRun;
  const verb = isDry
    ? "good"
    : request.kind === "import"
    ? "imported"
    : "written";
  const total = Object.values(done).reduce((sum, count) => sum + count, 0);
  const kinds = Object.entries(done).filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`);
  const lines = [
    `${state === "running" ? "It runs" : `It is ${state}`}; IDs begin with ${
      plainText(view.group)
    }/`,
    ...(view.why === null ? [] : [`  ${plainText(view.why)}`]),
    row(verb, total, kinds.join(", ")),
    row("known", view.known, "here already"),
    row("damaged", view.damaged, ""),
    row("skipped", view.skipped, ""),
    ...Object.entries(view.reasons).map(([reason, count]) =>
      `  ${String(count).padStart(9)}  ${plainText(reason)}`
    ),
  ];
  if (view.deleted > 0) {
    lines.push(row(isDry ? "to delete" : "deleted", view.deleted, "as there"));
  }
  if (view.withMeta > 0) lines.push(row("with meta", view.withMeta, ""));
  if (view.replaced > 0) {
    lines.push(row("replaced", view.replaced, "they had changed"));
  }
  if (view.copiedWhy !== null) {
    lines.push(row("copied", view.copied, plainText(view.copiedWhy)));
  }
  lines.push(
    `${sizeText(view.bytesDone)} in ${durationText(view.elapsedMs)}`,
    ...problemLines(view),
    `report on the node: ${plainText(view.report)}`,
  );
  return lines.join("\n");
}

/** What to do when it has ended. */
export function nextStep(view: MigrationView, node: number): string {
  const { request, state, damaged, skipped } = view;
  if (state !== "done") {
    return "give the same command again: it goes on where this one ended";
  }
  const look = damaged + skipped > 0
    ? `see what is named in the report (kedge import status --node ${node} ` +
      "--report FILE fetches it); then "
    : "";
  if (request.kind === "export") {
    return `${look}sync; then start a storage with store_path0 (and base_path) ` +
      plainText(request.to);
  }
  if (request.dryRun) return `${look}the same command without --dry-run`;
  if (request.mode === "in-place") {
    return `${look}never start FastDFS on these folders again; what it left ` +
      "(NAME-m, trunk files) may go when you are content";
  }
  return `${look}send clients to Kedge; while FastDFS still takes uploads, the ` +
    "same command again adds what came since";
}

function row(what: string, count: number, more: string): string {
  return `${what.padEnd(10)} ${count}${more === "" ? "" : `  (${more})`}`;
}

function problemLines({ problems }: MigrationView): string[] {
  const shown = problems.slice(0, PROBLEMS_SHOWN).map((
    { name, detail, kind },
  ) => `  ${kind}: ${plainText(name)}: ${plainText(detail)}`);
  const more = problems.length - shown.length;
  return more > 0 ? [...shown, "  …"] : shown;
}
