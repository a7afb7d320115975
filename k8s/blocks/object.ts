import type { ApiObjectProps, JsonPatch } from 'cdk8s';

/** One Kubernetes object. */
export interface ChartObject {
  /** Made by a typed `k8s.Kube*.manifest(...)`, or written out where Kubernetes knows the kind only by an extension. */
  readonly manifest: ApiObjectProps;
  /** Fields that are younger than the generated types. */
  readonly patches?: readonly JsonPatch[];
}
