/** What makes the alerts on answers and gateways fire, and what does not. */
import { type AlertCase, job } from './alert-case.ts';

const up = (region: string, instance: string): string => `up{${job},region="${region}",instance="${instance}"}`;
const requests = (status: string): string =>
  `litellm_proxy_total_requests_metric_total{${job},region="r1",status_code="${status}"}`;
const attempts = (outcome: string): string =>
  `holdfast_upstream_attempts_total{${job},region="r1",outcome="${outcome}"}`;

const instanceDown = {
  labels: { namespace: 'holdfast', job: 'gateway', region: 'r1', instance: 'b' },
  summary: 'Gateway b does not answer',
};

export const servingCases: readonly AlertCase[] = [
  {
    alert: 'InstanceDown',
    because: 'one of two does not answer',
    series: { [up('r1', 'a')]: '1+0x10', [up('r1', 'b')]: '0+0x10' },
    atMinutes: 3,
    fires: [instanceDown],
  },
  {
    alert: 'InstanceDown',
    because: 'a restart of a minute is none',
    series: { [up('r1', 'b')]: '1 0 1 1 1' },
    atMinutes: 3,
    fires: [],
  },
  {
    alert: 'GatewayAbsent',
    because: 'the last target is gone',
    series: { [up('r1', 'a')]: '1 1 stale _ _ _ _ _ _ _ _ _' },
    atMinutes: 9,
    fires: [{ labels: { namespace: 'holdfast', job: 'gateway' }, summary: 'Prometheus finds no gateway at all' }],
  },
  {
    alert: 'GatewayAbsent',
    because: 'a gateway that is down is there',
    series: { [up('r1', 'a')]: '0+0x10' },
    atMinutes: 9,
    fires: [],
  },
  {
    alert: 'HighErrorRate',
    because: '2 of 102 answers are 5xx',
    series: { [requests('200')]: '0+100x20', [requests('503')]: '0+2x20' },
    atMinutes: 15,
    fires: [{ labels: { region: 'r1' }, summary: 'Error rate above 1% in r1 (1.961%)' }],
  },
  {
    alert: 'HighErrorRate',
    because: 'clients with wrong keys are no fault of ours',
    series: { [requests('200')]: '0+100x20', [requests('401')]: '0+50x20', [requests('429')]: '0+50x20' },
    atMinutes: 15,
    fires: [],
  },
  {
    alert: 'AllProvidersDown',
    because: 'attempts fail and nothing ever succeeded',
    series: { [attempts('Timeout')]: '0+10x20' },
    atMinutes: 10,
    fires: [{ labels: { region: 'r1' }, summary: 'No provider answers from r1' }],
  },
  {
    alert: 'AllProvidersDown',
    because: 'successes stopped',
    series: { [attempts('Timeout')]: '0+10x20', [attempts('success')]: '50+0x20' },
    atMinutes: 10,
    fires: [{ labels: { region: 'r1' }, summary: 'No provider answers from r1' }],
  },
  {
    alert: 'AllProvidersDown',
    because: 'one deployment works',
    series: { [attempts('Timeout')]: '0+100x20', [attempts('success')]: '0+1x20' },
    atMinutes: 10,
    fires: [],
  },
  {
    alert: 'AllProvidersDown',
    because: 'nobody asks',
    series: { [attempts('success')]: '50+0x20', [attempts('Timeout')]: '7+0x20' },
    atMinutes: 10,
    fires: [],
  },
  {
    alert: 'RegionHealthDegraded',
    because: 'one of two in one region, none in the other',
    series: { [up('r1', 'a')]: '1+0x20', [up('r1', 'b')]: '0+0x20', [up('r2', 'c')]: '1+0x20' },
    atMinutes: 10,
    fires: [{ labels: { region: 'r1' }, summary: 'Region r1 health < 80%' }],
  },
];
