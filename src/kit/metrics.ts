// Prometheus metrics. Each room lists its own in one file, on the registry handed to it.
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export { Counter, Gauge, Histogram, Registry }
