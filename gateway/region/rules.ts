/**
 * All decisions about the right to write, in one object. The product uses this one. A test that shows what a decision is
 * for hands in a copy with one of them replaced; nothing else can, since no setting leads here.
 */
import { opened, raised, renewed, seizure } from './claim.ts';
import { beginControlWrite, mayAcknowledge, mayBegin, mayCommit, mayForget, mayIngest } from './right-to-write.ts';

export const regionRules = {
  renewed,
  seizure,
  raised,
  opened,
  mayBegin,
  mayCommit,
  mayAcknowledge,
  mayIngest,
  mayForget,
  beginControlWrite,
};

export type RegionRules = typeof regionRules;
