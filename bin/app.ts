/** Entry point of the CDK command line: `npx cdk synth`, `npx cdk deploy 'holdfast-production-us-west-2-*'`. */
import { buildApp } from '../lib/app.ts';
import { withRules } from '../lib/review/rules.ts';
import { loadPlatform } from './platform.ts';
import { stackedCharts } from './stacked-charts.ts';

// CDK's command line says whose credentials it found.
const platform = await loadPlatform(undefined, process.env['CDK_DEFAULT_ACCOUNT']);
if (platform === undefined) process.exitCode = 1;
else withRules(buildApp(platform, {}, await stackedCharts(platform)), platform).synth();
