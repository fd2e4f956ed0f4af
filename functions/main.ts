/**
 * Entry of the tracker where a platform runs it: Deno Deploy, or
 * `deno serve functions/main.ts`. Settings come from the environment
 * (`schema/config/tracker.ts`). `serve.ts` is the entry with its own listener.
 *
 * @module
 */

import { openTracker } from "./open.ts";

const { tracker } = await openTracker(Deno.env.toObject());

export default { fetch: tracker.fetch };
