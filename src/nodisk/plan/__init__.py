"""Pure: Lab + public facts → every text that any machine and any daemon of the server will get."""
