/** A wait that ends: for questions that a request waits for, and whose client has time-outs that are longer. */

/**
 * An answer that comes later is not waited for; the client's own time-outs end the question.
 * @throws Error `timeout: ...`
 */
export async function answeredWithin<T>(asked: Promise<T>, milliseconds: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    // What arrived while this process was busy is in time: it is read before the next turn.
    setImmediate(() => late.reject(new Error(`timeout: no answer within ${milliseconds} ms`)));
  }, milliseconds);
  try {
    return await Promise.race([asked, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
