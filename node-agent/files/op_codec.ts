/**
 * Ops as text for the message to the store worker.
 *
 * A structured clone of the many small objects of an op costs ten times what a
 * string does, and the change is needed as JSON anyway: it is what the log
 * keeps. An op with checksums of blocks, which is rare, goes as it is.
 *
 * ```text
 * line 1      JSON: the op, its steps without their change
 * lines 2…    JSON: {entry, body} of each step
 * ```
 *
 * @module
 */

import type { Change } from "@kedge/schema/change";
import type { Step } from "./merge_core.ts";
import type { Op } from "./worker_messages.ts";

/** An op on its way to the worker. */
export type PackedOp = Op | string;

type AppendOp = Op & { readonly kind: "append" };
type StepsOp = Op & { readonly kind: "apply" | "adopt" };

/** What is said of a step besides its change. */
type Rest = Omit<Step, "entry" | "body">;

/** Bring an op into its form for the message. */
export function packOp(op: Op): PackedOp {
  switch (op.kind) {
    case "append": {
      if (hasBlocks(op.step)) return op;
      const { kind, sequence, step, key } = op;
      const head = { kind, sequence, key, steps: [restOf(step)] };
      return `${JSON.stringify(head)}\n${op.record}`;
    }
    case "apply":
    case "adopt": {
      if (op.steps.some(hasBlocks)) return op;
      const head = { ...op, steps: op.steps.map(restOf) };
      const lines = op.steps.map(({ entry, body }) =>
        JSON.stringify({ entry, body })
      );
      return `${JSON.stringify(head)}\n${lines.join("\n")}`;
    }
    default:
      return op;
  }
}

/** The op that {@linkcode packOp} was given. */
export function unpackOp(packed: PackedOp): Op {
  if (typeof packed !== "string") return packed;
  const [first = "", ...lines] = packed.split("\n");
  const head: StepsOp | (AppendOp & { readonly steps: readonly Rest[] }) = JSON
    .parse(first);
  const steps = head.steps.map((rest, index) => stepOf(rest, lines[index]));
  if (head.kind !== "append") return { ...head, steps };
  const { kind, sequence, key } = head;
  const [step] = steps;
  if (step === undefined) throw new Error("an op without its step");
  return { kind, sequence, record: lines[0] ?? "", step, key };
}

/** Bytes are no JSON. */
function hasBlocks({ content }: Step): boolean {
  return "blockCrcs" in content && content.blockCrcs !== null;
}

function restOf({ content, pathIndex, key }: Step): Rest {
  return { content, pathIndex, key };
}

function stepOf(rest: Rest, line: string | undefined): Step {
  const { entry, body }: Change = JSON.parse(line ?? "");
  const { content, pathIndex, key } = rest;
  return { entry, body, content, pathIndex, key };
}
