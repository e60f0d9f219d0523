import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;

/**
 * pgjdbc with HikariCP, as docs/connecting.md shows it.
 * What it is told and what it tells: test/drivers/python/common.py.
 */
public final class Writer {
    private static final String INSERT =
        "INSERT INTO ledger (id, round, payload) VALUES (?, 0, 'pgjdbc')"
            + " RETURNING inet_server_port(),"
            + " ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int,"
            + " pg_current_xact_id()::text::bigint,"
            + " (pg_current_wal_insert_lsn() - '0/0')::bigint, pg_backend_pid()";

    private static synchronized void tell(String line) {
        System.out.println(line.replace('\n', ' '));
        System.out.flush();
    }

    private static Map<String, String> readTask(BufferedReader in) throws IOException {
        Map<String, String> task = new HashMap<>();
        for (String line = in.readLine(); line != null && !line.isEmpty(); line = in.readLine()) {
            String[] words = line.split(" ", 2);
            task.put(words[0], words[1]);
        }
        return task;
    }

    private static HikariDataSource open(Map<String, String> task) {
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl("jdbc:postgresql://" + task.get("hosts") + "/" + task.get("database")
            + "?targetServerType=primary&hostRecheckSeconds=1&connectTimeout=2&socketTimeout=2&loginTimeout=8"
            + "&cancelSignalTimeout=1");
        config.setUsername(task.get("user"));
        config.setPassword(task.get("password"));
        config.setMaximumPoolSize(Integer.parseInt(task.get("writers")));
        config.setConnectionTimeout(10_000);
        config.setValidationTimeout(1_000);
        config.setMaxLifetime(600_000);
        config.setInitializationFailTimeout(-1);
        return new HikariDataSource(config);
    }

    private static void one(HikariDataSource pool, long id) throws SQLException {
        try (Connection connection = pool.getConnection()) {
            try (PreparedStatement statement = connection.prepareStatement(INSERT)) {
                statement.setLong(1, id);
                try (ResultSet row = statement.executeQuery()) {
                    row.next();
                    tell("ack " + id + " " + row.getInt(1) + " " + row.getInt(2) + " " + row.getLong(3) + " "
                        + row.getLong(4) + " " + row.getInt(5));
                }
            } catch (SQLException error) {
                if ("25006".equals(error.getSQLState())) {
                    pool.evictConnection(connection);
                }
                throw error;
            }
        }
    }

    private static void write(HikariDataSource pool, long first) {
        for (long id = first + 1;; id++) {
            try {
                one(pool, id);
            } catch (SQLException error) {
                tell("error " + (error.getSQLState() == null ? "-" : error.getSQLState()) + " " + error.getMessage());
                try {
                    Thread.sleep(100);
                } catch (InterruptedException interrupted) {
                    return;
                }
            }
        }
    }

    public static void main(String[] words) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        Map<String, String> task = readTask(in);
        HikariDataSource pool = open(task);
        long first = Long.parseLong(task.get("first_id"));
        for (int number = 0; number < Integer.parseInt(task.get("writers")); number++) {
            long begin = first + number * 100_000_000L;
            Thread writer = new Thread(() -> write(pool, begin));
            writer.setDaemon(true);
            writer.start();
        }
        while (in.read() >= 0) {
            // only its end matters
        }
        System.exit(0);
    }
}
