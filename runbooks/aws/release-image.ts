/** A release's image in the template of pods: in the gateway's own, and in that of the pods that go first in one zone. Pure. */
import { z } from 'zod';
import { imageVariable } from '../../gateway/contract.ts';
import { imageLabel, kubernetes } from '../../lib/platform/names.ts';

export const canaryName = `${kubernetes.gateway}-canary`;
/** The gateway's own selector takes pods with it in, so that clients reach them; its Deployment owns them not. */
export const trackLabel = 'holdfast/track';
const zoneLabel = 'topology.kubernetes.io/zone';

/** What a gateway says that it runs. */
const itsName = (image: string) => ({ name: imageVariable, value: imageLabel(image) });

/** For a strategic merge, which leaves other variables as they are. */
export const withImage = (image: string) => ({
  template: { spec: { containers: [{ name: kubernetes.gateway, image, env: [itsName(image)] }] } },
});

const deploymentSchema = z.object({
  metadata: z.object({ namespace: z.string().optional(), labels: z.record(z.string(), z.string()).default({}) }),
  spec: z.looseObject({
    selector: z.object({ matchLabels: z.record(z.string(), z.string()) }),
    template: z.looseObject({
      metadata: z.looseObject({ labels: z.record(z.string(), z.string()) }),
      spec: z.looseObject({
        containers: z.array(
          z.looseObject({
            name: z.string(),
            image: z.string(),
            env: z.array(z.looseObject({ name: z.string() })).default([]),
          }),
        ),
      }),
    }),
  }),
});

/** Pure. The gateway's own Deployment once more, in one zone, with another image and one label more. */
export function canaryOf(
  deployment: string,
  { zone, image, replicas }: { readonly zone: string; readonly image: string; readonly replicas: number },
): object {
  const { metadata, spec } = deploymentSchema.parse(JSON.parse(deployment));
  const track = { [trackLabel]: 'canary' };
  const { template } = spec;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: canaryName, labels: { ...metadata.labels, ...track } },
    spec: {
      ...spec,
      replicas,
      selector: { matchLabels: { ...spec.selector.matchLabels, ...track } },
      template: {
        ...template,
        metadata: { ...template.metadata, labels: { ...template.metadata.labels, ...track } },
        spec: {
          ...template.spec,
          nodeSelector: { [zoneLabel]: zone },
          containers: template.spec.containers.map((container) =>
            container.name === kubernetes.gateway
              ? {
                  ...container,
                  image,
                  env: [...container.env.filter(({ name }) => name !== imageVariable), itsName(image)],
                }
              : container,
          ),
        },
      },
    },
  };
}
