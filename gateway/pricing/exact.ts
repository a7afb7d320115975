/** Prices as whole numbers, so that no binary fraction ever adds or loses a millionth of a dollar. */

/** Prices are counted in 1e-18 dollars. */
const priceDigits = 18;

/** 1e-18 dollars in a millionth of one. */
export const perMicro = 10n ** BigInt(priceDigits - 6);

/** The decimal number that people wrote, in 1e-18 dollars; what is smaller than that is cut off. */
export function scaled(price: number): bigint {
  const { digits, exponent } = decimalOf(price);
  const shift = priceDigits + exponent;
  return shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift);
}

/** A price for so many (a power of ten) as the price for one, without the error of a division. */
export function forOne(price: number, many: number): number {
  const { digits, exponent } = decimalOf(price);
  return Number(`${digits}e${exponent - Math.log10(many)}`);
}

/** `digits * 10 ** exponent`, from the shortest decimal form. */
function decimalOf(number: number): { digits: bigint; exponent: number } {
  const [mantissa = '0', exponent = '0'] = number.toExponential().split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length };
}
