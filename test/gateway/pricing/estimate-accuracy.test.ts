/** How far a third of the bytes, which budgets reserve for a prompt that nobody counted, is from what tokenizers count. */
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizers, type Tokenizers } from '../../../gateway/pipeline/tokenizer.ts';
import { CostEstimator } from '../../../gateway/pricing/estimate.ts';
import { exampleDeployment, exampleRequest } from '../examples.ts';

let tokenizers: Tokenizers;
beforeAll(async () => {
  tokenizers = await loadTokenizers(new Set(['o200k_base', 'cl100k_base']));
});

const written: readonly (readonly [string, string])[] = [
  [
    'English',
    'The gateway that everybody uses was down last night, so the engineer on call moved the traffic elsewhere. ',
  ],
  [
    'German',
    'Die Weiterleitung war gestern Nacht unterbrochen, weil die Datenbank des Rechenzentrums ausgefallen war. ',
  ],
  [
    'French',
    'La passerelle était indisponible cette nuit ; l’équipe d’astreinte a basculé le trafic vers une autre région. ',
  ],
  ['Russian', 'Прошлой ночью шлюз был недоступен, и дежурный инженер переключил весь трафик на другой регион. '],
  ['Chinese', '昨天晚上网关不可用，值班工程师按照操作手册把流量切换到了另一个区域。'],
  ['Japanese', '昨夜ゲートウェイが停止したため、当番のエンジニアは手順書に従って別のリージョンへ切り替えました。'],
  ['Arabic', 'توقفت البوابة الليلة الماضية، فنقل المهندس المناوب حركة المرور إلى منطقة أخرى وفق الدليل. '],
  ['Hindi', 'कल रात गेटवे बंद था, इसलिए ड्यूटी पर तैनात इंजीनियर ने ट्रैफ़िक को दूसरे क्षेत्र में भेज दिया। '],
  [
    'code',
    'export async function readAll(names: readonly string[]): Promise<string[]> {\n  return Promise.all(names);\n}\n',
  ],
  ['JSON', '{"id": "user-42", "roles": ["admin", "viewer"], "limits": {"rpm": 60, "tpm": 100000}, "active": true}\n'],
];
const hash = (index: number, encoding: 'hex' | 'base64'): string =>
  createHash('sha256').update(`${index}`).digest(encoding);
const random: readonly (readonly [string, string])[] = [
  ['hexadecimal ids', Array.from({ length: 50 }, (_, index) => hash(index, 'hex')).join(',')],
  ['base64', Array.from({ length: 50 }, (_, index) => hash(index, 'base64')).join('')],
  ['punctuation', '!@#$%^&*()_+{}|:<>?~`-=[];,./'.repeat(50)],
  ['emoji', '🎉🚀🔥👩‍💻🧯🛟⛑️🚨📟😴'.repeat(20)],
];

/** Long enough that the members around the text do not count. */
function estimatedPerToken(text: string, encoding: keyof Tokenizers): number {
  const content = text.repeat(20);
  const estimator = new CostEstimator({
    defaultOutputTokens: 0,
    deploymentsFor: () => [exampleDeployment('d', { prices: { inputCostPerToken: 1e-6, outputCostPerToken: 0 } })],
  });
  const request = exampleRequest({ model: 'chat', max_tokens: 0, messages: [{ role: 'user', content }] });
  const counted = tokenizers[encoding]?.(text) ?? Number.NaN;
  return estimator.estimate(request, 'chat').tokens / (counted * 20);
}

describe('the reservation for a prompt is', () => {
  it.each(written)(
    'never too small for %s, and at most five times what the present tokenizer counts',
    (_name, text) => {
      expect(estimatedPerToken(text, 'o200k_base')).toBeGreaterThan(1);
      expect(estimatedPerToken(text, 'o200k_base')).toBeLessThan(5);
    },
  );

  it.each(written)('at least four fifths of what the older tokenizer counts for %s', (_name, text) => {
    expect(estimatedPerToken(text, 'cl100k_base')).toBeGreaterThan(0.8);
  });

  it.each(random)('at least two fifths of what either counts for %s, which no language looks like', (_name, text) => {
    expect(estimatedPerToken(text, 'o200k_base')).toBeGreaterThan(0.4);
    expect(estimatedPerToken(text, 'cl100k_base')).toBeGreaterThan(0.4);
  });
});
