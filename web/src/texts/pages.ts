// The English texts of the pages beside the tasks; `en.ts` takes them in.
export const pagesEn = {
  board: {
    title: 'Board',
    list: 'As a list',
    empty: 'Hand one out from the list of tasks, and it stands here in its state.',
    more: (count: number) => `${count} older ones are in the list`,
  },
  usage: {
    title: 'Usage',
    month: 'Month',
    tasks: 'Tasks',
    lastDays: (days: number) => `handed in, last ${days} days`,
    well: 'Ended well',
    checks: 'All checks passed',
    of: (part: number, whole: number) =>
      whole === 0 ? 'none ended yet' : `${part} of ${whole} tasks`,
    cost: 'Cost',
    calls: 'Model calls',
    unpriced: (count: number) => `without ${count} calls of unknown price`,
    perDay: 'Tasks per day',
    costPerDay: (month: string) => `Cost per day, ${month}`,
    costBy: 'Cost by',
    by: { day: 'Day', repository: 'Repository', person: 'Person', model: 'Model' },
    changed: 'Changed',
    answered: 'Answered',
    failed: 'Failed or cancelled',
    table: 'Table',
    plot: 'Plot',
    nothing: 'Nothing was used in this time.',
    dayColumns: ['Day', '>Changed', '>Answered', '>Failed or cancelled'],
    columns: (first: string) => [
      first,
      '>Calls',
      '>Input tokens',
      '>Of these cached',
      '>Output tokens',
      '>Cost',
    ],
    note: (count: number) =>
      `Tasks and shares are counted over the newest ${count} tasks that you may see and that are not archived. Cost and calls are the server’s own sums. Days are UTC.`,
  },
};
