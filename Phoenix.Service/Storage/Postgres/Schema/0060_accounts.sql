-- People and programs that may use the service when authentication is on.
CREATE TABLE users (
    id            integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email         text        NOT NULL UNIQUE CHECK (email = lower(email)),
    username      text        NOT NULL UNIQUE,
    role          text        NOT NULL CHECK (role IN ('SYSTEM', 'ADMIN', 'MEMBER', 'VIEWER')),
    password_hash text,       -- pbkdf2-sha256$rounds$salt$hash; null: nobody logs in as this user
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

-- Id 1: the owner of system keys.
INSERT INTO users (email, username, role) VALUES ('system@localhost', 'system', 'SYSTEM');

-- A token's text holds its id alone. Revoked = the row is gone; an access token goes with its refresh token.
CREATE TABLE auth_tokens (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text        NOT NULL CHECK (kind IN ('AccessToken', 'RefreshToken', 'ApiKey')),
    user_id     integer     NOT NULL REFERENCES users ON DELETE CASCADE,
    refresh_id  bigint      REFERENCES auth_tokens ON DELETE CASCADE,
    name        text,
    description text,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz
);
CREATE INDEX auth_tokens_user ON auth_tokens (user_id, id);
CREATE INDEX auth_tokens_refresh ON auth_tokens (refresh_id) WHERE refresh_id IS NOT NULL;
CREATE INDEX auth_tokens_expiry ON auth_tokens (expires_at) WHERE kind <> 'ApiKey';
