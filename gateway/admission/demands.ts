/** What the requests that wait need together, of each slice: one call asks for all of them. Pure. */
import type { Estimate } from '../domain/admission.ts';
import type { BudgetSlice, Demand } from './budget-book.ts';
import type { LimitSlice } from './limit-slice.ts';
import type { Plan } from './plan.ts';

interface Wanting {
  readonly plan: Plan;
  readonly estimate: Estimate;
}

export function budgetDemands(waiting: readonly Wanting[]): Map<BudgetSlice, Demand> {
  const demands = new Map<BudgetSlice, Demand>();
  for (const { plan, estimate } of waiting) {
    const micros = estimate.micros ?? 0;
    for (const slice of plan.budgets) {
      const demand = demands.get(slice);
      if (demand === undefined) demands.set(slice, { sum: micros, ticket: micros });
      else {
        demand.sum += micros;
        demand.ticket = Math.max(demand.ticket, micros);
      }
    }
  }
  return demands;
}

export function limitDemands(waiting: readonly Wanting[]): Map<LimitSlice, number> {
  const demands = new Map<LimitSlice, number>();
  const add = (slice: LimitSlice, amount: number): void => {
    demands.set(slice, (demands.get(slice) ?? 0) + amount);
  };
  for (const { plan, estimate } of waiting) {
    for (const slice of plan.requests) add(slice, 1);
    for (const slice of plan.tokens) add(slice, estimate.tokens);
    for (const slice of plan.slots) add(slice, 1);
  }
  return demands;
}
