/** RFC 2918 §3, RFC 7313 §3.2. */
export interface RouteRefreshMessage {
  readonly type: 'route-refresh';
  readonly afi: number;
  readonly safi: number;
  /** 0 request, 1 begin (BoRR), 2 end (EoRR); any other value must be ignored by the session. */
  readonly subtype: number;
}
