/** Values as people and their environments write them. */
import { z } from 'zod';

/** Numbers may arrive as text, since `os.environ/NAME` always resolves to text. */
export const number = <Rule extends z.ZodType<number>>(rule: Rule) =>
  z.preprocess(
    (value) => (typeof value === 'string' && /^-?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(value.trim()) ? Number(value) : value),
    rule,
  );
export const boolean = z.preprocess(
  (value) => (value === 'true' || value === 'True' ? true : value === 'false' || value === 'False' ? false : value),
  z.boolean(),
);

export const count = number(z.number().int().min(0));
export const positiveCount = number(z.number().int().min(1));
export const seconds = number(z.number().min(0));
/** A day: a timer beyond 24.8 days would overflow and fire at once. */
const longestSeconds = 86_400;
export const positiveSeconds = number(z.number().positive().max(longestSeconds));
export const price = number(z.number().min(0));
export const name = z.string().trim().min(1);

export const names = z.union([name.transform((one) => [one]), z.array(name)]);
/** Where Redis is, in `router_settings` and `general_settings`. */
export const redisKeys = {
  redis_url: name.optional(),
  redis_host: name.optional(),
  redis_port: positiveCount.optional(),
  redis_username: name.optional(),
  redis_password: z.string().optional(),
  redis_db: count.optional(),
  redis_ssl: boolean.optional(),
};
