import Common

Service.run(Chaos.table, work: Chaos.run)
