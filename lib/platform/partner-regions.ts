/**
 * Where a single region's backups go when nobody says so: far enough to survive it, and under the same law, so that a
 * default never moves data out of its jurisdiction. A region without such a partner must name one.
 */
export const partnerRegions: Readonly<Record<string, string>> = {
  'us-east-1': 'us-west-2',
  'us-east-2': 'us-west-2',
  'us-west-1': 'us-east-2',
  'us-west-2': 'us-east-2',
  'ca-central-1': 'ca-west-1',
  'ca-west-1': 'ca-central-1',
  'eu-west-1': 'eu-central-1',
  'eu-west-3': 'eu-central-1',
  'eu-central-1': 'eu-west-1',
  'eu-north-1': 'eu-central-1',
  'eu-south-1': 'eu-central-1',
  'eu-south-2': 'eu-west-3',
  'ap-northeast-1': 'ap-northeast-3',
  'ap-northeast-3': 'ap-northeast-1',
  'ap-southeast-2': 'ap-southeast-4',
  'ap-southeast-4': 'ap-southeast-2',
  'ap-south-1': 'ap-south-2',
  'ap-south-2': 'ap-south-1',
};
