// 16 px line icons, one path each.
const PATHS = {
  home: 'M2.5 7.6 8 3l5.5 4.6V13H9.8V9.4H6.2V13H2.5z',
  services: 'M2.5 2.5h3.4v3.4H2.5zm7.6 0h3.4v3.4h-3.4zM6.3 10.1h3.4v3.4H6.3zM4.2 5.9V8h7.6V5.9M8 8v2.1',
  logs: 'M2.5 3.5h11M2.5 6.5h7M2.5 9.5h11M2.5 12.5h5',
  traces: 'M2.5 3.5h7M5 6.5h6M7 9.5h6.5M5 12.5h3.5',
  metrics: 'M2.5 2.5v11h11M5 10.5l2.6-3.6 2.3 2L13.5 4',
  alerts: 'M8 2.4c-2.5 0-3.8 1.8-3.8 4.1 0 3-1.3 3.7-1.3 4.8h10.2c0-1.1-1.3-1.8-1.3-4.8C11.8 4.2 10.5 2.4 8 2.4zM6.7 13.5h2.6',
  admin: 'M2.5 4.5h5.2m3.6 0h2.2m-11 7h2.2m3.6 0h5.2M9.5 2.7v3.6m-3-.0m0 3.4v3.6',
  explain: 'M5.2 6a2.8 2.8 0 1 1 4.3 2.3C8.5 9 8 9.5 8 10.7M8 12.8v.6',
  search: 'M7 2.8a4.2 4.2 0 1 0 .01 0zM10.2 10.2l3 3',
  close: 'M4 4l8 8m0-8-8 8',
  left: 'M9.8 3.5 5.4 8l4.4 4.5',
  right: 'M6.2 3.5 10.6 8l-4.4 4.5',
  down: 'M4 6.2 8 10l4-3.8',
  share: 'M6.6 9.4l3-3M5.4 7.3 3.7 9a2.4 2.4 0 0 0 3.4 3.4l1.7-1.7m1.8-2L12.3 7A2.4 2.4 0 0 0 9 3.6L7.2 5.3',
  copy: 'M5.5 5.5v-3h8v8h-3m-8-5h8v8h-8z',
  theme: 'M8 2.3a5.7 5.7 0 1 0 .01 0zM8 2.3v11.4',
  zoomOut: 'M7 2.8a4.2 4.2 0 1 0 .01 0zM10.2 10.2l3 3M5 7h4',
} as const;
export type IconName = keyof typeof PATHS;

export const Icon = ({ name }: { name: IconName }) => (
  <svg class="icon" width={16} height={16} viewBox="0 0 16 16" aria-hidden="true">
    <path d={PATHS[name]} />
  </svg>
);

export const Logo = () => (
  <svg width={22} height={22} viewBox="0 0 22 22" aria-hidden="true">
    <path d="M1 15.5h20M4.5 15.5a6.5 6.5 0 0 1 13 0M11 5.5v-3M4.6 8 2.6 6M17.4 8l2-2" />
  </svg>
);
