import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePrefix } from '#net';
import { masqueradeTable, sameTable } from './masquerade.ts';

const pool = (cidr: string, natOutgoing: boolean) => ({ cidr: parsePrefix(cidr), natOutgoing });

test('no pool with natOutgoing means no table at all', () => {
  assert.equal(masqueradeTable([], 'manx'), undefined);
  assert.equal(masqueradeTable([pool('10.64.0.0/16', false)], 'manx'), undefined);
});

test('the table is written as nft prints it: all pools, NAT pools, one rule a family', () => {
  const pools = [
    pool('10.80.1.0/24', false),
    pool('10.64.0.0/16', true),
    pool('10.64.8.0/24', true),
    pool('fd64::/64', true),
  ];
  assert.equal(
    masqueradeTable(pools, 'manx'),
    `table inet manx {
	set all-pools-4 {
		type ipv4_addr
		flags interval
		elements = { 10.64.0.0/16, 10.80.1.0/24 }
	}

	set nat-pools-4 {
		type ipv4_addr
		flags interval
		elements = { 10.64.0.0/16 }
	}

	set all-pools-6 {
		type ipv6_addr
		flags interval
		elements = { fd64::/64 }
	}

	set nat-pools-6 {
		type ipv6_addr
		flags interval
		elements = { fd64::/64 }
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr @nat-pools-4 ip daddr != @all-pools-4 masquerade fully-random
		ip6 saddr @nat-pools-6 ip6 daddr != @all-pools-6 masquerade fully-random
	}
}`,
  );
});

test('a family without natOutgoing has no sets and no rule', () => {
  assert.doesNotMatch(masqueradeTable([pool('10.64.0.0/16', true), pool('fd64::/64', false)], 'manx') ?? '', /ip6/);
});

test('line breaks within a set are no difference, elements are', () => {
  const table = masqueradeTable([pool('10.64.0.0/16', true), pool('10.80.0.0/16', true)], 'manx') ?? '';
  assert.ok(sameTable(table, table.replaceAll(', ', ',\n\t\t\t     ')));
  assert.ok(!sameTable(table, table.replace('10.80.0.0/16', '10.81.0.0/16')));
  assert.ok(!sameTable(table, undefined));
  assert.ok(sameTable(undefined, undefined));
});
