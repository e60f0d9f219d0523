/*
 * login.c: whom this server lets in: S2b at the login, and what a backend is told there.
 */
#include "postgres.h"

#include "libpq/auth.h"
#include "replication/walsender.h"

#include "pg/drain.h"
#include "pg/fence.h"
#include "pg/guc.h"
#include "pg/login.h"
#include "pg/serve.h"

/* In a client backend: it was tested at its login, and what it sends is. */
static bool is_admitted = false;

static ClientAuthentication_hook_type previous_client_authentication = NULL;

/*
 * S2b: 57P03 makes libpq try its next host.  Physical walsenders pass, so that
 * standbys get the WAL of a fenced or dying primary; logical ones would show rows.
 */
static void
admit_client(void)
{
	if (am_walsender && !am_db_walsender)
	{
		drain_register();
		return;
	}
	if (fence_refuses_still() && (!guc_fenced_reads || am_db_walsender))
	{
		fence_count_refusal(FHA_REFUSED_LOGIN);
		ereport(FATAL,
				(errcode(ERRCODE_CANNOT_CONNECT_NOW),
				 errmsg("this server may not act as the primary at the moment"),
				 errdetail("Its lease on the cluster is not known to be valid."),
				 errhint("Name several hosts in the connection string; the cluster's primary is "
						 "elsewhere or not yet admitted.")));
	}
	fence_hear_of_postmaster_death();
	fence_send_wrap();
	serve_forget();
}

static void
login_authentication(Port *port, int status)
{
	if (previous_client_authentication)
		previous_client_authentication(port, status);
	if (status != STATUS_OK)
		return;
	is_admitted = true;
	admit_client();
}

void
login_is_due(void)
{
	if (is_admitted)
		return;
	is_admitted = true;
	admit_client();
}

void
login_install_hooks(void)
{
	previous_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = login_authentication;
}
