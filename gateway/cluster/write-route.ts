import type { RegionState, WriteRoute } from '../domain/region.ts';

/**
 * Where a change of the control plane goes, by what is known of the regions. Pure.
 * @param forwarded another region sent it here; it makes one hop and no second one.
 */
export function writeRouteOf(
  { writer, phase, epoch }: Pick<RegionState, 'writer' | 'phase' | 'epoch'>,
  region: string,
  isKnown: (region: string) => boolean,
  forwarded: boolean,
): WriteRoute {
  if (writer === undefined || writer === region) return { is: 'here' };
  if (phase === 'seized') {
    const because = `A switch of regions is under way: ${writer} is being made the writer (epoch ${epoch})`;
    return { is: 'nowhere', type: 'writer_fenced', because };
  }
  if (forwarded) {
    return {
      is: 'nowhere',
      type: 'not_writer',
      because: `${writer} takes changes (epoch ${epoch}), ${region} does not`,
    };
  }
  if (isKnown(writer)) return { is: 'there', region: writer };
  const because = `${writer} takes changes (epoch ${epoch}), and its address is not in HOLDFAST_REGION_ADDRESSES here`;
  return { is: 'nowhere', type: 'writer_unreachable', because };
}
