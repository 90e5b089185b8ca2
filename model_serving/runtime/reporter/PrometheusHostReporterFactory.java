package org.apache.flink.metrics.prometheus;

import io.prometheus.client.exporter.HTTPServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.Iterator;
import java.util.Properties;
import org.apache.flink.metrics.MetricConfig;
import org.apache.flink.metrics.reporter.MetricReporter;
import org.apache.flink.metrics.reporter.MetricReporterFactory;
import org.apache.flink.util.NetUtils;

/**
 * Flink's Prometheus reporter with one more option, {@code host}: the address that it listens on. Flink's own
 * reporter always listens on every address of the machine.
 *
 * <p>Options: {@code host} ("localhost"; "0.0.0.0" for every address) and {@code port}, a port or a range of ports
 * ("9249"). When none of the ports is free, there is one line in the log, and the process runs without it.
 *
 * <p>It is in Flink's package because the registry of the reporter can be seen only there.
 */
public final class PrometheusHostReporterFactory implements MetricReporterFactory {
    @Override
    public MetricReporter createMetricReporter(Properties properties) {
        MetricConfig config = (MetricConfig) properties;
        return new Reporter(config.getString("host", "localhost"), config.getString("port", "9249"));
    }

    static final class Reporter extends AbstractPrometheusReporter {
        private final HTTPServer server;

        Reporter(String host, String ports) {
            server = listen(host, ports);
        }

        private HTTPServer listen(String host, String ports) {
            InetAddress address;
            try {
                address = InetAddress.getByName(host);
            } catch (UnknownHostException unknown) {
                log.warn("No metrics for Prometheus: metrics.reporter.prom.host is {}, which has no address.", host);
                return null;
            }
            Iterator<Integer> candidates = NetUtils.getPortRangeFromString(ports);
            while (candidates.hasNext()) {
                int port = candidates.next();
                try {
                    HTTPServer started = new HTTPServer(new InetSocketAddress(address, port), registry, true);
                    log.info("Metrics for Prometheus: http://{}:{}/metrics", host, started.getPort());
                    return started;
                } catch (IOException taken) {
                    log.debug("Port {} is not free.", port, taken);
                }
            }
            log.warn("No metrics for Prometheus: none of the ports {} is free (metrics.reporter.prom.port).", ports);
            return null;
        }

        @Override
        public void close() {
            if (server != null) {
                server.stop();
            }
            super.close();
        }
    }
}
