"""Who acts: the dispatcher, the entities, the services and the command line."""
