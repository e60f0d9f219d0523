// pgx with its pool, as docs/connecting.md shows it.
// What it is told and what it tells: test/drivers/python/common.py.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const limit = 2 * time.Second

const insert = `
INSERT INTO ledger (id, round, payload) VALUES ($1, 0, 'pgx')
RETURNING inet_server_port(),
          ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int,
          pg_current_xact_id()::text::bigint,
          (pg_current_wal_insert_lsn() - '0/0')::bigint,
          pg_backend_pid()`

func readTask(in *bufio.Reader) map[string]string {
	task := map[string]string{}
	for {
		line, err := in.ReadString('\n')
		line = strings.TrimSpace(line)
		if err != nil || line == "" {
			return task
		}
		key, value, _ := strings.Cut(line, " ")
		task[key] = value
	}
}

func tell(format string, words ...any) {
	line := fmt.Sprintf(format, words...)
	_, _ = os.Stdout.WriteString(strings.ReplaceAll(line, "\n", " ") + "\n")
}

func tellError(err error) {
	code := "-"
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		code = answer.Code
	}
	tell("error %s %v", code, err)
}

func one(pool *pgxpool.Pool, id int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	connection, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer connection.Release()
	var port, timeline, backend int32
	var transaction, position int64
	err = connection.QueryRow(ctx, insert, id).Scan(&port, &timeline, &transaction, &position, &backend)
	if err == nil {
		tell("ack %d %d %d %d %d %d", id, port, timeline, transaction, position, backend)
		return nil
	}
	var answer *pgconn.PgError
	if errors.As(err, &answer) && answer.Code == "25006" {
		_ = connection.Conn().Close(context.Background()) // not to go back into the pool
	}
	return err
}

func write(pool *pgxpool.Pool, id int64) {
	for {
		id++
		if err := one(pool, id); err != nil {
			tellError(err)
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func main() {
	in := bufio.NewReader(os.Stdin)
	task := readTask(in)
	writers, _ := strconv.ParseInt(task["writers"], 10, 64)
	// Twice as many as write: one that met its limit keeps its place for up to 15 s, while pgx asks for a cancel.
	address := fmt.Sprintf("postgres://%s:%s@%s/%s?target_session_attrs=read-write&connect_timeout=2&sslmode=disable"+
		"&pool_max_conns=%d&pool_max_conn_lifetime=10m",
		url.QueryEscape(task["user"]), url.QueryEscape(task["password"]), task["hosts"], task["database"], 2*writers)
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		panic(err)
	}
	// Statements are not prepared: a pooler in front would not know them.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		panic(err)
	}
	first, _ := strconv.ParseInt(task["first_id"], 10, 64)
	for number := int64(0); number < writers; number++ {
		go write(pool, first+number*100_000_000)
	}
	_, _ = io.Copy(io.Discard, in)
}
