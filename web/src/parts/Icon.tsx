// Line icons of 16 px, drawn here so that nothing is fetched.
const paths = {
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM11 11l3 3',
  repo: 'M4 2.5h8.500v11H4.500A1.500 1.500 0 0 1 3 12V3.500A1 1 0 0 1 4 2.500zM3 12a1.500 1.500 0 0 1 1.500-1.500h8',
  branch:
    'M4.500 5.500v5M4.500 5.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3zM4.500 13.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3zM11.500 6.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3zM11.500 6.500c0 2.500-7 1.500-7 4',
  box: 'M8 2l5.500 3v6L8 14l-5.500-3V5zM2.500 5L8 8l5.500-3M8 8v6',
  model: 'M8 2l1.500 4.500L14 8l-4.500 1.500L8 14l-1.500-4.500L2 8l4.500-1.500z',
  copies: 'M5.500 5.500h8v8h-8zM5.500 10.500h-3v-8h8v3',
  coin: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM10 6.200C9.500 5.400 6 5 6 6.800S10 7.900 10 9.400 6.500 10.800 6 9.700M8 4.500v7',
  down: 'M4 6l4 4 4-4',
  right: 'M6 4l4 4-4 4',
  check: 'M3.500 8.500l3 3 6-7',
  cross: 'M4 4l8 8M12 4l-8 8',
  pause: 'M6 4v8M10 4v8',
  stop: 'M4.500 4.500h7v7h-7z',
  retry: 'M3 8a5 5 0 1 0 1.500-3.500L3 6M3 3v3h3',
  file: 'M4 2.500h5l3 3v8H4zM9 2.500v3h3',
  terminal: 'M2.500 3.500h11v9h-11zM5 6.500l2 1.500-2 1.500M8.500 10h2.500',
  moon: 'M13 9.500A5.500 5.500 0 1 1 6.500 3a4.500 4.500 0 0 0 6.500 6.500z',
  archive: 'M2.500 3.500h11v3h-11zM3.500 6.500v7h9v-7M6.500 9h3',
  download: 'M8 2.500v8M5 7.500l3 3 3-3M3 13.500h10',
  clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 5v3l2 1.500',
  quire: 'M8 2.500L2.500 5 8 7.500 13.500 5zM2.500 8L8 10.500 13.500 8M2.500 11L8 13.500 13.500 11',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, small = false }: { name: IconName; small?: boolean }) {
  const size = small ? 12 : 16;
  return (
    <svg
      aria-hidden="true"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth={small ? 1.75 : 1.5}
      strokeLinecap="round"
      strokeLinejoin="round"
      className="shrink-0"
    >
      <path d={paths[name]} />
    </svg>
  );
}
