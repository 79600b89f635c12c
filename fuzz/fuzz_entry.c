/* Entries as they lie in the KV and in ranges. What was read is written in one way only. */
#include "fuzz/fuzz.h"
#include "versions/entry.h"

static void round_trip(const struct entry *e, struct arena *a)
{
	struct str bytes = entry_encode(e, a);
	struct entry again;
	struct err why = {0};
	uint8_t identity[32], identity_again[32];

	MUST(rc_ok(entry_decode(bytes, a, &again, &why)));
	MUST(str_eq(entry_encode(&again, a), bytes));
	entry_identity(e, identity);
	entry_identity(&again, identity_again);
	MUST(memcmp(identity, identity_again, sizeof(identity)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct str bytes = str_make(data, size);
	bool staged = take_byte(&bytes) & 1, tombstone = false;
	struct entry e = {0};
	struct err why = {0};
	rc got = staged ? staged_decode(bytes, a, &e, &tombstone, &why)
			: entry_decode(bytes, a, &e, &why);

	if (rc_ok(got) && !tombstone)
		round_trip(&e, a);
	MUST(rc_ok(got) || why.msg[0]);
	arena_free(a);
	return 0;
}
