/* Azurite (the emulator of Azure Blob Storage) as a service of tests. Include after cmocka.h. */
#pragma once

#include "backends/azure.h"
#include "tests/backends/service.h"

#define AZURITE_ACCOUNT "acct1"
#define AZURITE_OTHER "acct2"
#define AZURITE_SPACE "https://acct1.blob.core.windows.net/"
extern const char azurite_key[], azurite_wrong_key[]; /* of both accounts; of none */

/* Started with the first call, for the whole program. */
struct service *azurite(void);
/* Until what was stored before is on disk: Azurite writes its own tables every five seconds only.
 */
void azurite_settle(struct backend *b, struct str space);
/* A store of the account; port 0: the service's own. */
struct backend_azure_options azurite_options(struct arena *a, unsigned port);
/* account: AZURITE_ACCOUNT, or the other one where the options' endpoint names none. */
void azurite_make_container(struct backend *b, const char *account, const char *name);
