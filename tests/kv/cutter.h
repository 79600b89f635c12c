/* A relay on loopback that breaks connections on demand: between a driver and its server. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cutter;

enum cutter_way { CUTTER_TO_SERVER, CUTTER_TO_CLIENT };

struct cutter *cutter_new(int server_port);
void cutter_free(struct cutter *c);
int cutter_port(const struct cutter *c);
/* From now on, `bytes` more pass in that direction (over all connections), then the connection they pass on is
 * closed on both sides, once. hang: not closed, but silent for good, both ways. */
void cutter_arm(struct cutter *c, enum cutter_way way, uint64_t bytes, bool hang);
/* False: it hasn't happened yet; it won't any more. */
bool cutter_disarm(struct cutter *c);
/* Closes all connections now. */
void cutter_drop_all(struct cutter *c);
/* Connections that are open; so far. */
uint64_t cutter_live(struct cutter *c);
uint64_t cutter_connections(struct cutter *c);
