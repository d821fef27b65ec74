//! NATS JWTs, version 2: <https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt>.
