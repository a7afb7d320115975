import { JsonPatch } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { drain } from '../../gateway/contract.ts';

/**
 * How long a pod that is to end goes on as if nothing had happened.
 *
 * The gateway itself gives notice by readiness when SIGTERM comes, and `drain.noticeSeconds` are enough for kube-proxy.
 * They are not for the load balancer: its controller learns of the end from the Kubernetes API, calls AWS, and AWS tells
 * its nodes, which takes several seconds more. Until then requests still arrive and must not find a closed door. From
 * the first moment the pod is out of the Service's endpoints, whatever its readiness says.
 */
export const deregistrationSeconds = drain.pauseSeconds;

/**
 * How long a load balancer must leave the connections of a pod alone that was taken out: until the gateway itself has ended
 * its last stream with an error event. Both clocks start with the decision to end the pod.
 */
export const lastStreamSeconds = deregistrationSeconds + drain.noticeSeconds + drain.deadlineSeconds;

/** Between the gateway's own last deadline and SIGKILL. */
const marginSeconds = 5;

/** Seconds from the decision to end a pod until SIGKILL. The time of the preStop hook counts in. */
export const terminationGracePeriodSeconds = lastStreamSeconds + drain.flushSeconds + marginSeconds;

/**
 * The pause before SIGTERM. Kubernetes does the waiting itself (since 1.30), so the image needs no shell. A patch,
 * because the generated types are those of 1.28.
 */
export const preStopPause = (seconds: number = deregistrationSeconds): JsonPatch =>
  JsonPatch.add('/spec/template/spec/containers/0/lifecycle', { preStop: { sleep: { seconds } } });

/** The same for what a Service alone stands before: kube-proxy needs about as long. */
export const endpointSeconds = 5;

/** One pod more during an update and never one fewer, so that a release costs no capacity. */
export const rollingUpdate = (): k8s.DeploymentStrategy => ({
  type: 'RollingUpdate',
  rollingUpdate: { maxSurge: k8s.IntOrString.fromNumber(1), maxUnavailable: k8s.IntOrString.fromNumber(0) },
});
