import Common
import Producer

Service.run(ProducerProgram.table) { context in try await ProducerProgram.run(context) }
